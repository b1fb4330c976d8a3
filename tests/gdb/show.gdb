set print pretty off
set width 0
print w
print loss
print large
print undefined
print *(gradus::Tensor*)garbage
print tape
print *loss.body_.object_->node.object_
print w.body_.object_->node
print w.body_.object_->shape
